DROP FUNCTION ensure_order_history_partitions(date, date);
-- Its partitions go with it.
DROP TABLE order_history;
