-- All of it can be had again from `orders`.
DELETE FROM order_history;
