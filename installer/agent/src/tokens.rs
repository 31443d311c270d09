//! Bootstrap tokens: made, listed and deleted as kubeadm does.

use std::path::Path;
use std::time::Duration;

use slipway_api::paths;
use slipway_api::protocol::{Attachment, Reply, TokenRequest, TokenSummary};
use tokio::sync::mpsc;

use crate::AgentError;
use crate::context::Context;
use crate::kubernetes::{BootstrapToken, BootstrapTokenId, is_balanced};
use crate::steps::{client, failed};

/// The group that joining nodes authenticate as. Source: kubeadm's
/// `NodeBootstrapTokenAuthGroup`.
const NODE_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// Answers a request about tokens.
pub(crate) async fn handle(request: TokenRequest, root: &Path) -> Result<Reply, AgentError> {
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    if !context.at(paths::ADMIN_CONF).exists() {
        return Err(AgentError::Blocked {
            message: "this host is no control-plane node yet".to_owned(),
            help: "`slipway init -f FILE` makes it one".to_owned(),
        });
    }
    let client = client(&context, paths::ADMIN_CONF).await?;
    let tokens = match request {
        TokenRequest::JoinTarget => {
            return join_target(&context, is_balanced(&client).await);
        }
        TokenRequest::List => client
            .list_tokens()
            .await
            .map_err(failed("list bootstrap tokens".to_owned()))?,
        TokenRequest::Create {
            ttl_seconds,
            description,
        } => {
            let made = slipway_pki::BootstrapToken::generate()
                .map_err(AgentError::pki("make a bootstrap token"))?;
            let failed = || failed("create a bootstrap token".to_owned());
            let id: BootstrapTokenId = made.id().parse().map_err(failed())?;
            let mut token = BootstrapToken::new(id, made.expose_secret()).map_err(failed())?;
            if let Some(seconds) = ttl_seconds {
                token = token.expiring_in(Duration::from_secs(seconds));
            }
            token.description = description.unwrap_or_default();
            token.usages = vec!["signing".to_owned(), "authentication".to_owned()];
            token.groups = vec![NODE_GROUP.to_owned()];
            client.create_token(&token).await.map_err(failed())?;
            vec![token]
        }
        TokenRequest::Delete { id } => {
            let doing = || failed(format!("delete bootstrap token {id}"));
            let id: BootstrapTokenId = id.parse().map_err(doing())?;
            let changed = client.delete_token(&id).await.map_err(doing())?;
            return Ok(Reply::Done { changed });
        }
    };
    Ok(Reply::Tokens {
        tokens: tokens.iter().map(summary).collect(),
    })
}

/// Returns where machines join: what the administrator's kubeconfig names, as
/// `kubeadm token create --print-join-command` does.
fn join_target(context: &Context, is_balanced: bool) -> Result<Reply, AgentError> {
    let path = context.at(paths::ADMIN_CONF);
    let text = std::fs::read_to_string(&path).map_err(AgentError::file("read", &path))?;
    let text = zeroize::Zeroizing::new(text);
    let doing = || AgentError::pki("read admin.conf");
    let kubeconfig = slipway_pki::Kubeconfig::parse(&text).map_err(doing())?;
    let authorities =
        slipway_pki::CertificateFacts::parse_all(&kubeconfig.ca_pem).map_err(doing())?;
    Ok(Reply::JoinTarget {
        endpoint: kubeconfig
            .server
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .to_owned(),
        ca_pins: authorities.iter().map(|it| it.public_key_pin()).collect(),
        is_balanced,
    })
}

fn summary(token: &BootstrapToken) -> TokenSummary {
    TokenSummary {
        token: format!("{}.{}", token.id, token.secret()),
        expires: token.expires_at.map(|at| at.to_string()),
        usages: token.usages.clone(),
        description: Some(token.description.clone()).filter(|text| !text.is_empty()),
        groups: token.groups.clone(),
    }
}
