-- What came in each day.
DROP VIEW IF EXISTS daily_revenue;
CREATE VIEW daily_revenue AS
SELECT
    sold_on,
    currency,
    COUNT(*) AS orders,
    ROUND(SUM(revenue), 2) AS revenue,
    ROUND(SUM(profit), 2) AS profit,
    ROUND(1.000000 * SUM(revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value
FROM sales
GROUP BY sold_on, currency;
