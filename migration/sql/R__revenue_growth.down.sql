DROP VIEW IF EXISTS revenue_growth;
