-- Each platform month by month.
DROP VIEW IF EXISTS platform_monthly_revenue;
CREATE VIEW platform_monthly_revenue AS
SELECT sold_month, platform, currency, COUNT(*) AS orders, ROUND(SUM(revenue), 2) AS revenue
FROM sales
GROUP BY sold_month, platform, currency;
