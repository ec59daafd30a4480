DROP VIEW IF EXISTS category_performance;
