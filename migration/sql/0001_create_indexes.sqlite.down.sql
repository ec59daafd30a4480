DROP INDEX ix_shipments_shipped_at;
DROP INDEX ix_expenses_incurred_on;
DROP INDEX ix_marketplace_data_fetched_at;
DROP INDEX ix_inventory_items_status_quantity;
DROP INDEX ix_orders_payout_outstanding;
DROP INDEX ix_orders_status_sold_at;
DROP INDEX ix_orders_created_at;
