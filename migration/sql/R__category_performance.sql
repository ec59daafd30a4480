-- What each category sells.
DROP VIEW IF EXISTS category_performance;
CREATE VIEW category_performance AS
SELECT
    c.id AS category_id,
    c.name AS category,
    l.currency,
    COUNT(DISTINCT l.order_id) AS orders,
    SUM(l.quantity) AS units,
    ROUND(SUM(l.revenue), 2) AS revenue,
    ROUND(SUM(l.profit), 2) AS profit
FROM sale_lines l
JOIN categories c ON c.id = l.category_id
GROUP BY c.id, c.name, l.currency;
