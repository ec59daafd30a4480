DROP TABLE IF EXISTS reporting_product_performance;
