DROP INDEX ix_shipments_shipped_at ON shipments;
DROP INDEX ix_expenses_incurred_on ON expenses;
DROP INDEX ix_marketplace_data_fetched_at ON marketplace_data;
DROP INDEX ix_inventory_items_status_quantity ON inventory_items;
DROP INDEX ix_orders_payout_outstanding ON orders;
DROP INDEX ix_orders_status_sold_at ON orders;
DROP INDEX ix_orders_created_at ON orders;
