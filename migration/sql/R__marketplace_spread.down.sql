DROP VIEW IF EXISTS marketplace_spread;
