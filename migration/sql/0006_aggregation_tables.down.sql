DROP TABLE sales_monthly;
DROP TABLE sales_daily;
DROP TABLE sales_hourly;
