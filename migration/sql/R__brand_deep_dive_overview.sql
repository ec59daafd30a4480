-- All of a brand in one row: what it sold, for how much, since when.
DROP VIEW IF EXISTS brand_deep_dive_overview;
CREATE VIEW brand_deep_dive_overview AS
SELECT
    b.id AS brand_id,
    b.name AS brand,
    b.segment AS segment,
    l.currency,
    COUNT(DISTINCT l.product_id) AS products_sold,
    SUM(l.quantity) AS units,
    ROUND(SUM(l.revenue), 2) AS revenue,
    ROUND(SUM(l.profit), 2) AS profit,
    ROUND(1.000000 * SUM(l.revenue) / NULLIF(SUM(l.quantity), 0) + 0.0000001, 2) AS average_price,
    MIN(l.sold_on) AS first_sold_on,
    MAX(l.sold_on) AS last_sold_on
FROM brands b
JOIN sale_lines l ON l.brand_id = b.id
GROUP BY b.id, b.name, b.segment, l.currency;
