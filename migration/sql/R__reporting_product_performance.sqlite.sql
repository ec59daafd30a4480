-- Each product with what it sold, what is left of it and what the market asks.
-- fleet: view=reporting_product_performance group=hourly
DROP TABLE IF EXISTS reporting_product_performance;
CREATE TABLE reporting_product_performance (
    product_id uuid_text NOT NULL,
    currency char(3) NOT NULL,
    sku varchar(100),
    product varchar(255),
    brand varchar(100),
    category varchar(100),
    orders bigint,
    units bigint,
    revenue decimal(18, 2),
    profit decimal(18, 2),
    average_price decimal(18, 2),
    in_stock bigint,
    lowest_ask decimal(18, 2),
    PRIMARY KEY (product_id, currency)
);
-- fleet: refresh
DELETE FROM reporting_product_performance;
INSERT INTO reporting_product_performance (
    product_id, currency, sku, product, brand, category, orders, units, revenue, profit, average_price,
    in_stock, lowest_ask
)
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
