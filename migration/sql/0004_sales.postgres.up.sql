-- What every view below calls a sale: an order that was completed or shipped, at the time it was sold (else placed, else
-- entered), in UTC. Profit is NULL where the purchase is not known. Amounts of different currencies are never added up, so
-- the currency is part of every key.
CREATE VIEW sales AS
SELECT
    o.id AS order_id,
    date_trunc('hour', COALESCE(o.sold_at, o.placed_at, o.created_at) AT TIME ZONE 'UTC') AS sold_hour,
    (COALESCE(o.sold_at, o.placed_at, o.created_at) AT TIME ZONE 'UTC')::date AS sold_on,
    date_trunc('month', COALESCE(o.sold_at, o.placed_at, o.created_at) AT TIME ZONE 'UTC')::date AS sold_month,
    o.platform_id AS platform_id,
    COALESCE(p.code, '(none)') AS platform,
    o.customer_id AS customer_id,
    COALESCE(NULLIF(TRIM(o.buyer_country), ''), c.country, 'unknown') AS country,
    COALESCE(NULLIF(TRIM(o.buyer_city), ''), NULLIF(TRIM(c.city), ''), 'unknown') AS city,
    UPPER(o.currency) AS currency,
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
