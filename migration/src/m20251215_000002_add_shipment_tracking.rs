//! Shipments from label to delivery, their events, and their contents.
//!
//! The names of indexes are those of the guide this follows, where an order is an order request and a tenant a client.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, drop_tables, index, table};
use crate::touch;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [shipments(manager), shipment_events(), shipment_items()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("shipments_order_request_id_idx", "shipments", ["order_id"]),
            index("shipments_client_id_status_idx", "shipments", ["tenant_id", "status"]),
            index("shipments_tracking_number_idx", "shipments", ["tracking_number"]),
            index("shipment_events_shipment_id_event_time_idx", "shipment_events", ["shipment_id", "event_time"]),
            index("shipment_items_shipment_id_idx", "shipment_items", ["shipment_id"]),
            index("shipment_items_product_id_idx", "shipment_items", ["product_id"]),
            index("shipment_items_order_item_id_idx", "shipment_items", ["order_item_id"]),
        ] {
            manager.create_index(index).await?;
        }
        touch::keep(manager, "shipments").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, ["shipment_items", "shipment_events", "shipments"]).await?;
        touch::forget(manager, "shipments").await
    }
}

fn shipments(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table("shipments")
        .col(uuid("order_id"))
        .col(uuid("tenant_id"))
        // UPS, FedEx, USPS, DHL, or any other.
        .col(string_len("carrier", 40))
        .col(string_len_null("tracking_number", 100))
        .col(string_len_null("tracking_url", 500))
        .col(string_len("status", 20).default("pending"))
        .col(timestamp_with_time_zone_null("shipped_at"))
        .col(timestamp_with_time_zone_null("estimated_delivery_at"))
        .col(timestamp_with_time_zone_null("delivered_at"))
        .col(boolean("has_exception").default(false))
        .col(text_null("exception_reason"))
        .col(json_null("raw_tracking"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(touch::updated_at(manager))
        .references("shipments", "order_id", "orders", ForeignKeyAction::Cascade)
        // A tenant with shipments can't be deleted.
        .references("shipments", "tenant_id", "tenants", ForeignKeyAction::Restrict)
        .to_owned()
}

fn shipment_events() -> TableCreateStatement {
    let name = "shipment_events";
    table(name)
        .col(uuid("shipment_id"))
        .col(string_len("status", 40))
        .col(string_len_null("location", 200))
        .col(text_null("description"))
        .col(timestamp_with_time_zone("event_time"))
        .col(json_null("raw_data"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .references(name, "shipment_id", "shipments", ForeignKeyAction::Cascade)
        .to_owned()
}

fn shipment_items() -> TableCreateStatement {
    let name = "shipment_items";
    table(name)
        .col(uuid("shipment_id"))
        .col(uuid("product_id"))
        .col(uuid_null("order_item_id"))
        .col(integer("quantity"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .references(name, "shipment_id", "shipments", ForeignKeyAction::Cascade)
        .references(name, "product_id", "products", ForeignKeyAction::Restrict)
        .references(name, "order_item_id", "order_items", ForeignKeyAction::SetNull)
        .to_owned()
}
