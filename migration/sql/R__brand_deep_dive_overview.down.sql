DROP VIEW IF EXISTS brand_deep_dive_overview;
