DELETE FROM sales_hourly;
