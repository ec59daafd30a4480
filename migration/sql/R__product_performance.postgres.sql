-- What each product sold.
-- fleet: view=product_performance group=hourly
DROP MATERIALIZED VIEW IF EXISTS product_performance;
CREATE MATERIALIZED VIEW product_performance AS
SELECT
    l.product_id,
    l.currency,
    p.sku AS sku,
    p.name AS product,
    COUNT(DISTINCT l.order_id) AS orders,
    SUM(l.quantity) AS units,
    ROUND(SUM(l.revenue), 2) AS revenue,
    ROUND(SUM(l.profit), 2) AS profit,
    MAX(l.sold_on) AS last_sold_on
FROM sale_lines l
JOIN products p ON p.id = l.product_id
GROUP BY l.product_id, l.currency, p.sku, p.name;
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_product_performance ON product_performance (product_id, currency);
