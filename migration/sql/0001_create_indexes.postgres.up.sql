-- Indexes for what the application asks most often. Those of foreign keys (orders.customer_id, products.category_id) are
-- made by the migrations. CONCURRENTLY: nobody's INSERT waits while one is built; it can't run in a transaction.
-- fleet: transaction=false
CREATE INDEX CONCURRENTLY ix_orders_created_at ON orders (created_at);
CREATE INDEX CONCURRENTLY ix_orders_status_sold_at ON orders (status, sold_at);
-- The few sales whose money has not come yet.
CREATE INDEX CONCURRENTLY ix_orders_payout_outstanding ON orders (sold_at) WHERE NOT payout_received;
CREATE INDEX CONCURRENTLY ix_inventory_items_status_quantity ON inventory_items (status, quantity);
CREATE INDEX CONCURRENTLY ix_marketplace_data_fetched_at ON marketplace_data (fetched_at);
CREATE INDEX CONCURRENTLY ix_expenses_incurred_on ON expenses (incurred_on);
CREATE INDEX CONCURRENTLY ix_shipments_shipped_at ON shipments (shipped_at);
