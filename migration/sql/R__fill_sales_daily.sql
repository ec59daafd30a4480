-- What the table of 0006_aggregation_tables holds; the same on every engine.
-- fleet: view=sales_daily group=daily
DELETE FROM sales_daily;
-- fleet: refresh
DELETE FROM sales_daily;
INSERT INTO sales_daily (sold_on, platform, currency, orders, revenue, fees, profit)
SELECT sold_on, platform, currency, COUNT(*), ROUND(SUM(revenue), 2), ROUND(SUM(fees), 2), ROUND(SUM(profit), 2)
FROM sales
GROUP BY sold_on, platform, currency;
