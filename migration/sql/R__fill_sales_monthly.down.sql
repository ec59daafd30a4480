DELETE FROM sales_monthly;
