DROP TABLE IF EXISTS daily_sales_summary;
