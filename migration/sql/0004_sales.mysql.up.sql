-- What every view below calls a sale: an order that was completed or shipped, at the time it was sold (else placed, else
-- entered), in UTC. Profit is NULL where the purchase is not known. Amounts of different currencies are never added up, so
-- the currency is part of every key.
-- Texts that are grouped by are compared byte by byte, as the other engines do.
CREATE VIEW sales AS
SELECT
    o.id AS order_id,
    CAST(DATE_FORMAT(COALESCE(o.sold_at, o.placed_at, o.created_at), '%Y-%m-%d %H:00:00') AS datetime) AS sold_hour,
    DATE(COALESCE(o.sold_at, o.placed_at, o.created_at)) AS sold_on,
    CAST(DATE_FORMAT(COALESCE(o.sold_at, o.placed_at, o.created_at), '%Y-%m-01') AS date) AS sold_month,
    o.platform_id AS platform_id,
    CONVERT(COALESCE(p.code, '(none)') USING utf8mb4) COLLATE utf8mb4_bin AS platform,
    o.customer_id AS customer_id,
    CONVERT(COALESCE(NULLIF(TRIM(o.buyer_country), ''), c.country, 'unknown') USING utf8mb4) COLLATE utf8mb4_bin AS country,
    CONVERT(COALESCE(NULLIF(TRIM(o.buyer_city), ''), NULLIF(TRIM(c.city), ''), 'unknown') USING utf8mb4) COLLATE utf8mb4_bin AS city,
    CONVERT(UPPER(o.currency) USING utf8mb4) COLLATE utf8mb4_bin AS currency,
    COALESCE(o.gross_sale, o.total) AS revenue,
    COALESCE(o.platform_fee, 0) + COALESCE(o.shipping_cost, 0) AS fees,
    COALESCE(
        o.net_profit,
        COALESCE(o.gross_sale, o.total) - COALESCE(o.platform_fee, 0) - COALESCE(o.shipping_cost, 0) - o.gross_buy
    ) AS profit
FROM orders o
LEFT JOIN platforms p ON p.id = o.platform_id
LEFT JOIN customers c ON c.id = o.customer_id
WHERE o.status IN ('completed', 'shipped');
