-- What the table of 0006_aggregation_tables holds; the same on every engine.
-- fleet: view=sales_hourly group=hourly
DELETE FROM sales_hourly;
-- fleet: refresh
DELETE FROM sales_hourly;
INSERT INTO sales_hourly (sold_hour, platform, currency, orders, revenue, fees, profit)
SELECT sold_hour, platform, currency, COUNT(*), ROUND(SUM(revenue), 2), ROUND(SUM(fees), 2), ROUND(SUM(profit), 2)
FROM sales
GROUP BY sold_hour, platform, currency;
