//! Calls with bytes: what a test that goes by the descriptors sends and reads.

use super::WithToken;
use std::time::Duration;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

/// So long a watch is listened to.
const LISTEN: Duration = Duration::from_millis(300);
/// So long every other answer is waited for, on however busy a machine.
const AT_MOST: Duration = Duration::from_secs(60);

/// Bytes as they are.
#[derive(Debug, Default, Clone, Copy)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = prost::bytes::Buf::remaining(buffer);
        Ok(Some(prost::bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}

/// Everything that a call answers: of a watch, what comes while [`LISTEN`] has not passed in silence.
pub async fn call(client: &WithToken, method: &str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(client.clone());
    grpc.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
    let path: PathAndQuery = format!("/{method}").parse().unwrap();
    let mut stream = grpc.server_streaming(Request::new(request), path, Raw).await?.into_inner();
    let mut all = Vec::new();
    // Only a watch has no end.
    let is_watch = method.contains("/Watch");
    loop {
        match tokio::time::timeout(if is_watch { LISTEN } else { AT_MOST }, stream.message()).await {
            Ok(message) => match message? {
                Some(message) => all.extend(message),
                None => return Ok(all),
            },
            Err(_) if is_watch => return Ok(all),
            Err(_) => return Err(Status::internal(format!("{method} does not end its answer"))),
        }
    }
}
