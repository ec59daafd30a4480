DROP TABLE IF EXISTS reporting_supplier_performance;
