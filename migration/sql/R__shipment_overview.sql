-- How the carriers do.
DROP VIEW IF EXISTS shipment_overview;
CREATE VIEW shipment_overview AS
SELECT
    carrier,
    COUNT(*) AS shipments,
    COUNT(delivered_at) AS delivered,
    SUM(CASE WHEN has_exception THEN 1 ELSE 0 END) AS exceptions
FROM shipments
GROUP BY carrier;
