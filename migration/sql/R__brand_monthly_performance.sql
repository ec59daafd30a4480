-- Each brand month by month.
DROP VIEW IF EXISTS brand_monthly_performance;
CREATE VIEW brand_monthly_performance AS
SELECT
    l.sold_month,
    l.brand_id,
    b.name AS brand,
    l.currency,
    COUNT(DISTINCT l.order_id) AS orders,
    SUM(l.quantity) AS units,
    ROUND(SUM(l.revenue), 2) AS revenue,
    ROUND(SUM(l.profit), 2) AS profit
FROM sale_lines l
JOIN brands b ON b.id = l.brand_id
GROUP BY l.sold_month, l.brand_id, b.name, l.currency;
