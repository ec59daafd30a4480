-- What each product sold.
-- fleet: view=product_performance group=hourly
DROP TABLE IF EXISTS product_performance;
CREATE TABLE product_performance (
    product_id uuid_text NOT NULL,
    currency char(3) NOT NULL,
    sku varchar(100),
    product varchar(255),
    orders bigint,
    units bigint,
    revenue decimal(18, 2),
    profit decimal(18, 2),
    last_sold_on date,
    PRIMARY KEY (product_id, currency)
);
-- fleet: refresh
DELETE FROM product_performance;
INSERT INTO product_performance (
    product_id, currency, sku, product, orders, units, revenue, profit, last_sold_on
)
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
