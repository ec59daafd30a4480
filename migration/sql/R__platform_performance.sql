-- What each platform brings and what it keeps.
DROP VIEW IF EXISTS platform_performance;
CREATE VIEW platform_performance AS
SELECT
    platform,
    currency,
    COUNT(*) AS orders,
    ROUND(SUM(revenue), 2) AS revenue,
    ROUND(SUM(fees), 2) AS fees,
    ROUND(SUM(profit), 2) AS profit,
    ROUND(100.000000 * SUM(fees) / NULLIF(SUM(revenue), 0) + 0.0000001, 2) AS fee_percent
FROM sales
GROUP BY platform, currency;
