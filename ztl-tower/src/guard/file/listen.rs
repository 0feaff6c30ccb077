//! `[[listen]]`: where [`Guard::run`](crate::Guard::run) listens.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "serve")]
mod serve {
    use super::super::{MAX_TABLES, socket_address};
    use super::*;
    use crate::serve::Listen;

    #[derive(Clone, Copy)]
    enum Kind {
        Mesh,
        Public,
    }

    impl Here<'_> {
        pub(crate) fn listen(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            let read = |inner: &mut Table<'_, '_>| self.listener(inner);
            let listeners = table.tables("listen", "[[listen]]", MAX_TABLES, read);
            for listen in listeners.into_iter().flatten() {
                builder = builder.listener(listen);
            }
            builder
        }

        fn listener(self, table: &mut Table<'_, '_>) -> Option<Listen> {
            #[cfg(unix)]
            if let Some(path) = self.path(table, "path") {
                let help = "a Unix socket has no port: write which one of `ports` it stands for";
                table.need("port", help);
                let port = table.integer("port", 1..=65_535);
                for key in ["address", "kind", "certificate", "key"] {
                    let message = "a Unix socket has a `path` and a `port`, and serves the mesh";
                    table.refuse(key, message, "remove it, or `path`");
                }
                return Some(Listen::unix(path, u16::try_from(port?).ok()?));
            }
            #[cfg(not(unix))]
            table.refuse(
                "path",
                "there are no Unix sockets here",
                "write an `address`",
            );
            table.need(
                "address",
                "write `address = \"0.0.0.0:8443\"`, or `path` and `port`",
            );
            let address = table.parsed("address", socket_address);
            table.refuse(
                "port",
                "`port` is for a Unix socket",
                "the port of an address stands in it: remove this one",
            );
            let kind = table.parsed("kind", |text| match text {
                "mesh" => Ok(Kind::Mesh),
                "public" => Ok(Kind::Public),
                _ => Err("write `mesh` or `public`".to_owned()),
            });
            if let Kind::Public = kind.unwrap_or(Kind::Mesh) {
                let help = "write the `certificate` and `key` that prove a public listener";
                table.need("certificate", help);
                table.need("key", help);
                let certificate = self.path(table, "certificate");
                let key = self.path(table, "key");
                return Some(Listen::public(address?, certificate?, key?));
            }
            for key in ["certificate", "key"] {
                let message = "a mesh listener proves itself by the SVID of [identity]";
                table.refuse(key, message, "remove it, or write `kind = \"public\"`");
            }
            address.map(Listen::mesh)
        }
    }
}

#[cfg(not(feature = "serve"))]
impl Here<'_> {
    pub(super) fn listen(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        super::not_built(table, "listen", "serve");
        builder
    }
}
