-- What the table of 0006_aggregation_tables holds; the same on every engine.
-- fleet: view=sales_monthly group=monthly
DELETE FROM sales_monthly;
-- fleet: refresh
DELETE FROM sales_monthly;
INSERT INTO sales_monthly (sold_month, platform, currency, orders, revenue, fees, profit)
SELECT sold_month, platform, currency, COUNT(*), ROUND(SUM(revenue), 2), ROUND(SUM(fees), 2), ROUND(SUM(profit), 2)
FROM sales
GROUP BY sold_month, platform, currency;
