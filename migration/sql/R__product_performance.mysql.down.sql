DROP TABLE IF EXISTS product_performance;
