-- Each product with what it sold, what is left of it and what the market asks.
-- fleet: view=reporting_product_performance group=hourly
DROP MATERIALIZED VIEW IF EXISTS reporting_product_performance;
CREATE MATERIALIZED VIEW reporting_product_performance AS
SELECT
    t.product_id,
    t.currency,
    p.sku AS sku,
    p.name AS product,
    b.name AS brand,
    c.name AS category,
    t.orders,
    t.units,
    t.revenue,
    t.profit,
    ROUND(1.000000 * t.revenue / NULLIF(t.units, 0) + 0.0000001, 2) AS average_price,
    COALESCE(i.in_stock, 0) AS in_stock,
    m.lowest_ask
FROM (
    SELECT
        product_id,
        currency,
        COUNT(DISTINCT order_id) AS orders,
        SUM(quantity) AS units,
        ROUND(SUM(revenue), 2) AS revenue,
        ROUND(SUM(profit), 2) AS profit
    FROM sale_lines
    GROUP BY product_id, currency
) t
JOIN products p ON p.id = t.product_id
LEFT JOIN brands b ON b.id = p.brand_id
LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN (
    SELECT product_id, SUM(quantity) AS in_stock FROM inventory_items GROUP BY product_id
) i ON i.product_id = t.product_id
LEFT JOIN (
    SELECT product_id, MIN(lowest_ask) AS lowest_ask FROM marketplace_data GROUP BY product_id
) m ON m.product_id = t.product_id;
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_reporting_product_performance ON reporting_product_performance (product_id, currency);
