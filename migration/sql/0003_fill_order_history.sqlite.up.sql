-- Each piece of a thousand is committed by itself: no lock is held for long, and what is interrupted goes on where it was.
-- An order that is there already, whoever put it there, is not taken again.
-- fleet: transaction=false
/* fleet: batch */
INSERT INTO order_history
    (order_id, booked_on, number, status, currency, platform_id, customer_id, total, net_profit)
SELECT
    o.id,
    date(COALESCE(o.sold_at, o.placed_at, o.created_at)),
    o.number, o.status, o.currency, o.platform_id, o.customer_id, o.total, o.net_profit
FROM orders o
WHERE o.status IN ('completed', 'cancelled', 'refunded')
    AND NOT EXISTS (SELECT 1 FROM order_history h WHERE h.order_id = o.id)
LIMIT 1000;
