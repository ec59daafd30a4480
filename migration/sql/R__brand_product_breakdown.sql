-- What share of its brand a product sells. It was a view of one brand; WHERE brand = … is that view.
DROP VIEW IF EXISTS brand_product_breakdown;
CREATE VIEW brand_product_breakdown AS
SELECT
    t.brand_id,
    b.name AS brand,
    t.product_id,
    p.sku AS sku,
    p.name AS product,
    t.currency,
    t.units,
    t.revenue,
    ROUND(100.000000 * t.revenue / NULLIF(SUM(t.revenue) OVER (PARTITION BY t.brand_id, t.currency), 0) + 0.0000001, 2) AS percent_of_brand
FROM (
    SELECT brand_id, product_id, currency, SUM(quantity) AS units, ROUND(SUM(revenue), 2) AS revenue
    FROM sale_lines
    GROUP BY brand_id, product_id, currency
) t
JOIN brands b ON b.id = t.brand_id
JOIN products p ON p.id = t.product_id;
