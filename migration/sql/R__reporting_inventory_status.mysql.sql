-- Each item in stock: how much, what it is worth, whether to order more.
-- fleet: view=reporting_inventory_status group=hourly
DROP TABLE IF EXISTS reporting_inventory_status;
CREATE TABLE reporting_inventory_status (
    inventory_item_id binary(16) NOT NULL,
    sku varchar(64),
    item varchar(200),
    status varchar(20),
    supplier varchar(200),
    quantity bigint,
    reorder_point bigint,
    needs_reorder integer,
    stock_value decimal(18, 2),
    units_sold bigint,
    last_sold_on date,
    PRIMARY KEY (inventory_item_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- fleet: refresh
DELETE FROM reporting_inventory_status;
INSERT INTO reporting_inventory_status (
    inventory_item_id, sku, item, status, supplier, quantity, reorder_point, needs_reorder, stock_value,
    units_sold, last_sold_on
)
SELECT
    i.id AS inventory_item_id,
    i.sku AS sku,
    i.name AS item,
    i.status AS status,
    s.name AS supplier,
    i.quantity AS quantity,
    i.reorder_point AS reorder_point,
    CASE WHEN i.quantity <= i.reorder_point THEN 1 ELSE 0 END AS needs_reorder,
    ROUND(i.quantity * COALESCE(i.purchase_price, i.unit_price), 2) AS stock_value,
    COALESCE(l.units_sold, 0) AS units_sold,
    l.last_sold_on
FROM inventory_items i
LEFT JOIN suppliers s ON s.id = i.supplier_id
LEFT JOIN (
    SELECT inventory_item_id, SUM(quantity) AS units_sold, MAX(sold_on) AS last_sold_on
    FROM sale_lines
    GROUP BY inventory_item_id
) l ON l.inventory_item_id = i.id;
