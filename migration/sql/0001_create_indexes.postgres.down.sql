-- fleet: transaction=false
DROP INDEX CONCURRENTLY ix_shipments_shipped_at;
DROP INDEX CONCURRENTLY ix_expenses_incurred_on;
DROP INDEX CONCURRENTLY ix_marketplace_data_fetched_at;
DROP INDEX CONCURRENTLY ix_inventory_items_status_quantity;
DROP INDEX CONCURRENTLY ix_orders_payout_outstanding;
DROP INDEX CONCURRENTLY ix_orders_status_sold_at;
DROP INDEX CONCURRENTLY ix_orders_created_at;
