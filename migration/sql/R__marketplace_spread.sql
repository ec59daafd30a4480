-- What a product is asked for on each platform against its own retail price.
DROP VIEW IF EXISTS marketplace_spread;
CREATE VIEW marketplace_spread AS
SELECT
    m.product_id,
    p.sku AS sku,
    f.code AS platform,
    m.lowest_ask,
    m.highest_bid,
    p.retail_price,
    ROUND(100.000000 * (m.lowest_ask - p.retail_price) / NULLIF(p.retail_price, 0) + 0.0000001, 2) AS ask_over_retail_percent
FROM marketplace_data m
JOIN products p ON p.id = m.product_id
JOIN platforms f ON f.id = m.platform_id;
