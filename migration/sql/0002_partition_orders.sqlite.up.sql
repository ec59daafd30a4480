-- The facts of closed orders. SQLite has no partitions: an index by month finds the rows of one.
CREATE TABLE order_history (
    order_id uuid_text NOT NULL,
    booked_on date_text NOT NULL,
    number varchar(32) NOT NULL,
    status varchar(20) NOT NULL,
    currency char(3) NOT NULL,
    platform_id uuid_text,
    customer_id uuid_text,
    total real(12, 2) NOT NULL,
    net_profit real(14, 2),
    PRIMARY KEY (order_id, booked_on)
);

CREATE INDEX ix_order_history_booked_on ON order_history (booked_on);
CREATE INDEX ix_order_history_month ON order_history (substr(booked_on, 1, 7));
