DROP VIEW IF EXISTS shipment_overview;
