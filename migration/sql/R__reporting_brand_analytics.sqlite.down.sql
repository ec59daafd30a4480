DROP TABLE IF EXISTS reporting_brand_analytics;
