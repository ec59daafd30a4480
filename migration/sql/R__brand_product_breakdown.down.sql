DROP VIEW IF EXISTS brand_product_breakdown;
