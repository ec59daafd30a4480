DROP TABLE IF EXISTS customer_lifetime_value;
