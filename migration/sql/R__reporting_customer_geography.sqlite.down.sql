DROP TABLE IF EXISTS reporting_customer_geography;
