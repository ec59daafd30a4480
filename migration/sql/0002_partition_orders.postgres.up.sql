-- The facts of closed orders, by month. `orders` itself stays one table: lines, expenses and shipments refer to orders by
-- their id, and the key of a partitioned table has to hold the month too.
CREATE TABLE order_history (
    order_id uuid NOT NULL,
    booked_on date NOT NULL,
    number varchar(32) NOT NULL,
    status varchar(20) NOT NULL,
    currency char(3) NOT NULL,
    platform_id uuid,
    customer_id uuid,
    total numeric(12, 2) NOT NULL,
    net_profit numeric(14, 2),
    PRIMARY KEY (order_id, booked_on)
) PARTITION BY RANGE (booked_on);

CREATE INDEX ix_order_history_booked_on ON order_history (booked_on);

-- For months that have no partition of their own: no row is ever refused.
CREATE TABLE order_history_default PARTITION OF order_history DEFAULT;

-- Makes the partitions of the months from `first_month` up to, and without, `end_month`, and says how many it made. A month
-- that has one is passed over, so that it can be called at any time. Rows that had to go into the default partition come
-- along. The schema is that of the table, whatever else the caller's search path holds.
CREATE FUNCTION ensure_order_history_partitions(first_month date, end_month date) RETURNS integer
LANGUAGE plpgsql AS $partitions$
DECLARE
    parent regclass := 'order_history'::regclass;
    home text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent);
    month_start date := date_trunc('month', first_month)::date;
    month_end date;
    part text;
    made integer := 0;
BEGIN
    -- Two callers at once would both find the month missing.
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', parent);
    WHILE month_start < end_month LOOP
        month_end := (month_start + interval '1 month')::date;
        part := 'order_history_' || to_char(month_start, 'YYYY_MM');
        IF to_regclass(format('%I.%I', home, part)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', home, part, parent);
            EXECUTE format(
                'WITH moved AS (DELETE FROM %I.order_history_default WHERE booked_on >= %L AND booked_on < %L RETURNING *) '
                'INSERT INTO %I.%I SELECT * FROM moved',
                home, month_start, month_end, home, part
            );
            EXECUTE format(
                'ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                parent, home, part, month_start, month_end
            );
            made := made + 1;
        END IF;
        month_start := month_end;
    END LOOP;
    RETURN made;
END
$partitions$;

-- Fixed months: this script leaves the same schema whenever it runs.
SELECT ensure_order_history_partitions('2025-01-01', '2027-01-01');
