-- Indexes for what the application asks most often. Those of foreign keys (orders.customer_id, products.category_id) are
-- made by the migrations.
CREATE INDEX ix_orders_created_at ON orders (created_at);
CREATE INDEX ix_orders_status_sold_at ON orders (status, sold_at);
-- The few sales whose money has not come yet.
CREATE INDEX ix_orders_payout_outstanding ON orders (sold_at) WHERE NOT payout_received;
CREATE INDEX ix_inventory_items_status_quantity ON inventory_items (status, quantity);
CREATE INDEX ix_marketplace_data_fetched_at ON marketplace_data (fetched_at);
CREATE INDEX ix_expenses_incurred_on ON expenses (incurred_on);
CREATE INDEX ix_shipments_shipped_at ON shipments (shipped_at);
