-- Sums by hour, day and month. The repeatable scripts R__fill_sales_… say what is in them.
CREATE TABLE sales_hourly (
    sold_hour timestamp NOT NULL,
    platform varchar(40) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint NOT NULL,
    revenue numeric(18, 2) NOT NULL,
    fees numeric(18, 2) NOT NULL,
    profit numeric(18, 2),
    PRIMARY KEY (sold_hour, platform, currency)
);
CREATE TABLE sales_daily (
    sold_on date NOT NULL,
    platform varchar(40) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint NOT NULL,
    revenue numeric(18, 2) NOT NULL,
    fees numeric(18, 2) NOT NULL,
    profit numeric(18, 2),
    PRIMARY KEY (sold_on, platform, currency)
);
CREATE TABLE sales_monthly (
    sold_month date NOT NULL,
    platform varchar(40) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint NOT NULL,
    revenue numeric(18, 2) NOT NULL,
    fees numeric(18, 2) NOT NULL,
    profit numeric(18, 2),
    PRIMARY KEY (sold_month, platform, currency)
);
