-- Indexes for what the application asks most often. Those of foreign keys (orders.customer_id, products.category_id) are
-- made by the migrations. LOCK=NONE: it is an error, and not a table that nobody can write to, if one can't be built
-- beside the application.
CREATE INDEX ix_orders_created_at ON orders (created_at) ALGORITHM=INPLACE LOCK=NONE;
CREATE INDEX ix_orders_status_sold_at ON orders (status, sold_at) ALGORITHM=INPLACE LOCK=NONE;
-- There is no index over some of the rows here, so the condition is its first column.
CREATE INDEX ix_orders_payout_outstanding ON orders (payout_received, sold_at) ALGORITHM=INPLACE LOCK=NONE;
CREATE INDEX ix_inventory_items_status_quantity ON inventory_items (status, quantity) ALGORITHM=INPLACE LOCK=NONE;
CREATE INDEX ix_marketplace_data_fetched_at ON marketplace_data (fetched_at) ALGORITHM=INPLACE LOCK=NONE;
CREATE INDEX ix_expenses_incurred_on ON expenses (incurred_on) ALGORITHM=INPLACE LOCK=NONE;
CREATE INDEX ix_shipments_shipped_at ON shipments (shipped_at) ALGORITHM=INPLACE LOCK=NONE;
