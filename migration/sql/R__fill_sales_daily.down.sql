DELETE FROM sales_daily;
